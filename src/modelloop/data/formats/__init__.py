"""From bytes to raw rows, format by format; what is broken is told with file and place."""
