"""The command lines: parse, check, build, run, close."""
