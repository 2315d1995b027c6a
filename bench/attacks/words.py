"""Attacks by what a backend returns: file names, answers, and build requirements."""

from bench.attacks.attack import Attack

WORDS = (
    Attack(
        "names of files",
        r"""
def attack(folder):
    good = wheel(folder)
    path = f"{folder}/{good}"
    if NUMBER == 0:
        wheel(folder, "../evil-1.0-py3-none-any.whl")
        return "../evil-1.0-py3-none-any.whl"
    if NUMBER == 1:
        return f"{WORKSPACE}/one/backend.py"
    if NUMBER == 2:
        return f"{GITHUB}/home/evil-1.0-py3-none-any.whl"
    if NUMBER == 3:
        os.rename(path, f"{folder}/evil\n::add-mask::x-1.0-py3-none-any.whl")
        return "evil\n::add-mask::x-1.0-py3-none-any.whl"
    if NUMBER == 4:
        os.unlink(path)
        os.symlink(f"{WORKSPACE}/.git/config", path)
    if NUMBER == 5:
        os.unlink(path)
        os.mkfifo(path)
    if NUMBER == 6:
        os.unlink(path)
        os.mkdir(path)
    if NUMBER == 7:
        os.truncate(path, 300 * 2**30)
    if NUMBER == 8:
        return wheel(folder, "one-1.0-py3-none-any.whl")
    if NUMBER == 9:
        return "evil\0-1.0-py3-none-any.whl"
    if NUMBER == 10:
        return "evil\ud800-1.0-py3-none-any.whl"
    if NUMBER == 11:
        return "x" * 5000 + ".whl"
    if NUMBER == 12:
        return "-rf.whl"
    if NUMBER == 13:
        return ".."
    if NUMBER == 14:
        os.unlink(path)
        os.link(f"{HERE}/../shared.txt", path)
    if NUMBER == 15:
        os.unlink(path)
    if NUMBER == 16:
        os.chmod(path, 0)
        os.chmod(folder, 0)
    if NUMBER == 17:
        os.rename(folder, f"{folder}-moved")
    return good
""",
        count=18,
    ),
    Attack(
        "answers",
        r"""
ANSWERS = [
    "[" * 1_000_000,
    "{" + '"a":{' * 100_000,
    "",
    "[]",
    "1" * 3_000_000,
    '{"return_val": ' + "1" * 1_000_000 + "}",
    '{"return_val": 1e999}',
    '{"return_val": {"a": 1}}',
    '{"return_val": [1, null, {}]}',
    '{"return_val": [["a"]]}',
    '{"return_val": null}',
    '{"return_val": "\\ud800"}',
    '{"return_val": [], "warnings": 1}',
    '{"return_val": [], "warnings": [1]}',
    '{"return_val": [], "warnings": [{"message": "\\ud800", "category": "x"}]}',
    '{"no_backend": true, "traceback": 1, "backend_error": {}}',
    '{"backend_missing": true}',
    '{"unsupported": true, "traceback": [1]}',
    '{"hook_missing": true, "missing_hook_name": "build_sdist"}',
    '{"kwargs": 1}',
    "x" * 10_000_000,
]

def requires():
    if NUMBER < len(ANSWERS):
        answer(ANSWERS[NUMBER])
    path = f"{control()}/output.json"
    if NUMBER == len(ANSWERS):
        os.symlink(f"{WORKSPACE}/key.json", path)
    if NUMBER == len(ANSWERS) + 1:
        os.mkfifo(path)
    if NUMBER == len(ANSWERS) + 2:
        os.truncate(os.open(path, os.O_CREAT | os.O_RDWR), 300 * 2**30)
    if NUMBER == len(ANSWERS) + 3:
        os.mkdir(path)
    if NUMBER == len(ANSWERS) + 4:
        os.symlink("/dev/zero", path)
    if NUMBER == len(ANSWERS) + 5:
        os.symlink(path, path)
    if NUMBER == len(ANSWERS) + 6:
        os.rmdir(control()) if not os.listdir(control()) else os.rename(control(), f"{TMP}/moved")
    os._exit(0)
""",
        count=28,
    ),
    Attack(
        "build requirements",
        r"""
REQUIREMENTS = [
    [f"{number}{'a' * 100}" for number in range(20_000)],
    ["a" * 3_000_000],
    ["evil @ file:///a\0b"],
    ["evil @ file:///" + "a" * 300_000],
    ["evil @ file://\ud800/"],
    [f"evil @ file://{WORKSPACE}/key.json"],
    [f"evil @ file://{GITHUB}/home/"],
    [f"evil @ git+ext::sh%20-c%20id"],
    ["-r /etc/passwd"],
    ["--index-url=http://127.0.0.1:1/"],
    ["evil\n--index-url=http://127.0.0.1:1/"],
    ["evil; python_version < '\0'"],
    ["evil; " + "(" * 100_000],
    ["evil[" + ",".join(f"a{number}" for number in range(50_000)) + "]"],
    [1, None, {}],
    ["\ud800"],
]

def requires():
    return REQUIREMENTS[NUMBER]
""",
        count=16,
        neighbours=("one", "two"),
    ),
)
