/* Processes that resist their end: hostile killer|bomb|chain|churn|vfork|leader
   It writes a dot when it is under way. Every process ends within a minute. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SECONDS = 60, MOST_PIDS = 32768, MOST_FORKS = 200000 };
static time_t until;
static int *forks;

static void tell(void) { if (write(1, ".", 1) < 0) return; }
static void set_alarm(void) { time_t left = until - time(NULL); if (left <= 0) _exit(0); alarm(left); }
static void rest(void) { for (;;) pause(); }

static int child(void)
{
    if (__atomic_add_fetch(forks, 1, __ATOMIC_RELAXED) > MOST_FORKS) _exit(0);
    int pid = fork();
    if (pid == 0) set_alarm();
    return pid;
}

static void killer(int spared)
{
    for (int i = 0; i < 6; i++)
        if (child() == 0) {
            tell();
            for (;;)
                for (int pid = 1; pid < MOST_PIDS; pid++)
                    if (pid != spared && getpgid(pid) != getpgrp()) kill(pid, SIGKILL);
        }
    rest();
}

static void bomb(void)
{
    signal(SIGCHLD, SIG_IGN);
    for (int said = 0;;) {
        int pid = child();
        if (pid == 0) setpgid(0, 0);
        if (pid < 0 && errno == EAGAIN && !said) { said = 1; tell(); }
        if (pid < 0) usleep(1000);
    }
}

static void chain(const char *left, const char *end)
{
    char fewer[16], seconds[32];
    until = end ? atol(end) : until;
    snprintf(fewer, sizeof fewer, "%d", left ? atoi(left) - 1 : 1050);
    snprintf(seconds, sizeof seconds, "%ld", (long)until);
    int pid = atoi(fewer) > 0 ? fork() : -1;
    if (pid == 0) {
        set_alarm();
        execl("/proc/self/exe", "hostile", "chain", fewer, seconds, NULL); /* a chain of forks alone takes 10 s */
    }
    if (pid < 0) { setsid(); tell(); }
    rest();
}

static void churn(void)
{
    signal(SIGCHLD, SIG_IGN);
    for (int i = 0; i < 16; i++)
        if (child() == 0) break;
    tell();
    for (;;)
        if (child() > 0) _exit(0);
}

static void vforks(void)
{
    for (int i = 0; i < 20; i++)
        if (child() == 0) {
            tell();
            if (vfork() == 0) { set_alarm(); rest(); }
        }
    rest();
}

static void *thread(void *unused) { (void)unused; tell(); rest(); return NULL; }

static void leader(void)
{
    for (int i = 0; i < 10; i++)
        if (child() == 0) {
            pthread_t made;
            setsid();
            pthread_create(&made, NULL, thread, NULL);
            syscall(SYS_exit, 0); /* the first thread alone: the process is shown as a zombie */
        }
    rest();
}

int main(int count, char **arguments)
{
    if (count < 2) return 2;
    until = time(NULL) + SECONDS;
    set_alarm();
    forks = mmap(NULL, sizeof *forks, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const char *what = arguments[1];
    if (!strcmp(what, "killer")) killer(getppid());
    if (!strcmp(what, "bomb")) bomb();
    if (!strcmp(what, "chain")) chain(count > 3 ? arguments[2] : NULL, count > 3 ? arguments[3] : NULL);
    if (!strcmp(what, "churn")) churn();
    if (!strcmp(what, "vfork")) vforks();
    if (!strcmp(what, "leader")) leader();
    return 2;
}
