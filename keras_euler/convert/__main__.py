"""Entry point of `python -m keras_euler.convert`."""

import sys

from keras_euler.convert.command import main

if __name__ == "__main__":
    main(sys.argv[1:])
