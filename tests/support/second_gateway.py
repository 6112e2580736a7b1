"""`python -m tests.support.second_gateway PORT`: one more gateway beside the first, on a port of its own."""

import os
import sys

from gateway.__main__ import main

if __name__ == "__main__":
    os.environ["GANGLION_PORT"] = sys.argv.pop()
    main()
