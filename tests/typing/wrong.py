"""What mypy has to object to: a misspelt argument, and text for a number."""

import tclif_neuro as tn

tn.TCLIF(128, recurent=True)
tn.AdaptiveTCLIF(128, vth="0.5")
