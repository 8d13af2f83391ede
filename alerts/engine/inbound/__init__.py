"""What other systems' messages mean: pure readers, one module per sender, and the generic one for all the rest."""
