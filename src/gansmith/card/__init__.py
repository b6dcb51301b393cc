"""The card of a release: what it is, how good, how useful, and how much it tells of the images it was trained on."""
