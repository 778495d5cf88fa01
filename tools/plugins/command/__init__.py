"""The `command` plugin: remote.Command and local.Command as pulumi-command 1.2.1 behaves.

plugin.py     entry file, started by the engine
provider.py   check, diff, create, update, delete of both resources
schema.py     their inputs: types, defaults, what is secret
execution.py  one event loop for all commands; cancelling
output.py     what a command prints: kept and logged line by line
local.py      runs a command here
ssh.py        runs a command over SSH, on pooled connections
assets.py     the files that local.Command returns
"""
