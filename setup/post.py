#!/app/venv/bin/python -Iu
"""What the image starts after a job that used setup/action.yml."""

import sys

from gar_publish.github.setup_action import post

if __name__ == "__main__":
    sys.exit(post())
