"""The story of dispatch: what happens, in which order, for each thing somebody asks or says."""
