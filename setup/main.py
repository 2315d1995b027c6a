#!/app/venv/bin/python -Iu
"""The entry point of setup/action.yml in the image."""

import sys

from gar_publish.github.setup_action import main

if __name__ == "__main__":
    sys.exit(main())
