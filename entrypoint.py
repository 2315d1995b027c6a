"""What the image starts: hands over to the front door for the runner."""

from gar_publish.action import main
from gar_publish.interruption import leave

if __name__ == "__main__":
    leave(main())
