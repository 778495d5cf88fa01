"""What the stack needs on a machine that cannot download it: the engine and the plugins."""
