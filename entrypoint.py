#!/app/venv/bin/python -Iu
"""The entry point of the image: the action without arguments or with `action FOLDER`, else the command line."""

import sys

from gar_publish.process import exit_now

if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] != "action":
        from gar_publish.cli.main import run

        run()
    from gar_publish.github.action import main

    exit_now(main())
