"""What a suite can find and certify, and what to add to it first: from a run or from stated rates."""
