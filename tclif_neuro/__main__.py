"""`python -m tclif_neuro` is the command `tclif`: for `torchrun -m`, and where the command is not on the path."""

from tclif_neuro.cli.app import main

if __name__ == "__main__":
    main()
