"""Gets onto this machine what a run needs: one module for each thing, each finding before it makes."""
