FOUND = "known ids found"
ANSWERED_HERE = "unknown ids answered here"
