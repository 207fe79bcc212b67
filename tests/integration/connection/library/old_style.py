#!/usr/bin/python3
# WANT_JSON
import json
import sys

with open(sys.argv[1]) as file:
    print(json.dumps({"changed": True, "said": json.load(file)["word"]}))
