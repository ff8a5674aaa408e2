"""Results: labelled arrays with what made them, sealed on disk, and the statistics behind their intervals."""
