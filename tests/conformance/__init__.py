"""The plugins against the recorded answers of the official ones."""
