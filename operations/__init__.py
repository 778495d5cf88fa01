"""The command line `./itqan`: prepares the machine, runs the Pulumi engine, reports."""
