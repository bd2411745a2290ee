"""The least that any program must do: parse every file of a tree, with PyYAML's C loader."""

import os
import sys

import yaml

for directory, _, names in os.walk(sys.argv[1]):
    for name in names:
        with open(os.path.join(directory, name), "rb") as file:  # noqa: PTH118, PTH123
            for _document in yaml.load_all(file, Loader=yaml.CSafeLoader):
                pass
