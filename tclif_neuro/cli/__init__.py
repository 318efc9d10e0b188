"""The command line: `app` parses and prints, `commands` do the work."""
