#!/bin/sh
# Whether the compiler finds a header: has-header.sh NAME says yes or no.
if echo "#include <$1>" | "${CXX:-c++}" -E -x c++ - > /dev/null 2>&1; then echo yes; else echo no; fi
