"""`make soak`: an hour of mixed load on a real gateway, and whether anything leaked, was lost or was half."""
