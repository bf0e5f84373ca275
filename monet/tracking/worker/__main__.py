"""The start of a tracker's process: Python runs this folder by its path, so that the process finds `monet` wherever the
run's own process found it (a checkout, a notebook's folder, an environment), whatever the working folder."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).absolute().parents[3]))

    from monet.tracking.worker import work

    work()
