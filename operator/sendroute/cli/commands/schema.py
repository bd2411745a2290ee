"""Print the JSON Schema of a kind, or of all kinds together.

examples:
  sendroute schema SendingDomain
  sendroute schema > sendroute.schema.json        for an editor: one schema for any document
"""
