"""The Postfix side: what it is configured with, whether a Postfix agrees, and what its log says.

Parameters, services and tables are data with the section of the manual that explains them; the
files, the installation and the check all read the same values.
"""
