"""What users put on disk: where the links of a tree may lead."""
