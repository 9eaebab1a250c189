//! Application state: the progress of each source and a small ordered map, as of the last commit.
