"""The one table that both hand-written text networks and `benchmark.py` read."""

# Blocks of each stage of the text network, by depth. The authors call the last two 64 and 68.
BLOCKS = {
    9: (1, 1, 1, 1),
    17: (2, 2, 2, 2),
    29: (5, 5, 2, 2),
    49: (8, 8, 5, 3),
    65: (10, 10, 7, 5),
    69: (11, 11, 8, 4),
}
