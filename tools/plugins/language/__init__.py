"""The language host for Python: starts the program for the engine.

plugin.py       entry file, started by the engine
host.py         pulumirpc.LanguageRuntime
environment.py  the interpreter of a program and what is installed in it
process.py      the program's process
execute.py      runs in that process, under the program's interpreter: hooks pulumi up, runs the program
"""
