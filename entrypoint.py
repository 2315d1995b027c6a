"""What the image starts: the command line where it is given arguments, else the front door for the runner."""

import sys

from gar_publish.process import exit_now

if __name__ == "__main__":
    if sys.argv[1:]:
        from gar_publish.cli.main import run

        run()
    from gar_publish.github.action import main

    exit_now(main())
