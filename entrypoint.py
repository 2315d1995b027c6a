"""What the image starts: hands over to the front door for the runner."""

import sys

from gar_publish.action import main

if __name__ == "__main__":
    sys.exit(main())
