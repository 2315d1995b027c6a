import subprocess
import sys


def test_nothing_that_windows_lacks_is_imported_at_start() -> None:
    script = (
        "import sys\n"
        "lacking = ('crypt', 'fcntl', 'grp', 'pty', 'pwd', 'readline', 'resource', 'syslog', 'termios', 'tty')\n"
        "sys.modules.update(dict.fromkeys(lacking))\n"
        "import gar_publish.cli, gar_publish.pipeline\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
