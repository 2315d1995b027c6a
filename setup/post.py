#!/app/venv/bin/python -Iu
"""The cleanup after a job that used setup/action.yml."""

import sys

from gar_publish.github.setup_action import post

if __name__ == "__main__":
    sys.exit(post())
