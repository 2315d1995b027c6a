#!/app/venv/bin/python -Iu
"""What the image starts for setup/action.yml."""

import sys

from gar_publish.github.setup_action import main

if __name__ == "__main__":
    sys.exit(main())
