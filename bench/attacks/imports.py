"""Attacks by wheels that are imported in a rehearsal: those of builds on processes, and some of their own."""

from dataclasses import replace

from bench.attacks.attack import Attack
from bench.attacks.processes import PROCESSES


def _can_be_imported(attack: Attack) -> bool:
    return not attack.files and attack.formats == ("wheel",) and "def attack" in attack.code


IMPORTS = (
    *(replace(each, name=f"imported: {each.name}", is_imported=True) for each in PROCESSES if _can_be_imported(each)),
    Attack(
        "imported: a hunt for the token while uv installs others",
        """
def attack(folder):
    for name in os.environ:
        if name.startswith(("UV_", "GITHUB_", "GOOGLE_", "ACTIONS_", "INPUT_")):
            note(f"worked: it has the variable {name}")
    until = time.monotonic() + 2
    while time.monotonic() < until:
        for pid in of_others():
            for name in ("environ", "cmdline"):
                read(f"/proc/{pid}/{name}")
        for place, folders, files in os.walk(os.path.dirname(os.path.dirname(sys.prefix)) + "/index"):
            for name in files:
                read(f"{place}/{name}")
""",
        neighbours=[f"other{number}" for number in range(8)],
        is_imported=True,
    ),
    Attack(
        "imported: environments of others, and files that every user can write to",
        """
def attack(folder):
    # The folders have names that everybody can guess.
    run = os.path.dirname(os.path.dirname(sys.prefix))
    others = [f"{run}/{number}/environment-{each}" for number in range(1, 12) for each in range(1, 8)]
    until = time.monotonic() + 2
    while time.monotonic() < until:
        for other in others:
            if os.path.exists(f"{other}/pyvenv.cfg") and other != sys.prefix:
                note(f"worked: see {other}")
            attack_files(other)
            overwrite(f"{other}/*", f"{other}/.lock", f"{other}/lib/*/site-packages/*.py")
""",
        neighbours=[f"other{number}" for number in range(4)],
        is_imported=True,
    ),
    Attack(
        "imported: an import without end",
        """
def attack(folder):
    detached(watch, 3)
    pause()
""",
        is_imported=True,
        seconds=3,
    ),
    Attack(
        "imported: a full disk",
        """
def attack(folder):
    with contextlib.suppress(OSError), open(f"{os.environ['TMPDIR']}/large", "wb") as file:
        while True:
            file.write(bytes(2**20))
""",
        is_imported=True,
        disk="60m",
    ),
    Attack(
        "imported: an answer that is a link to a secret, a pipe, or endless",
        """
def attack(folder):
    target = f"{sys.argv[-1]}/answer.json"
    with contextlib.suppress(OSError):
        os.unlink(target)
    if NUMBER == 0:
        os.symlink(f"{GITHUB}/workflow/event.json", target)
    elif NUMBER == 1:
        os.mkfifo(target)
    else:
        with open(target, "w") as file:
            file.write('{"doing": "", "found": [], "loaded": ' + "[" * 10**6)
    os._exit(0)
""",
        count=3,
        is_imported=True,
    ),
)
