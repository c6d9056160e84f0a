"""How good translated pictures are: one evaluation a file (sr, paired, unpaired, domain), the measures beside them."""
