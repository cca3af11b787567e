#!/bin/sh
# 1 when a program that uses libdeflate compiles and links here, else 0. binding.gyp asks.
echo '#include <libdeflate.h>
int main() { return libdeflate_crc32(0, "", 0) != 0; }' |
  ${CXX:-g++} -x c++ - -ldeflate -o /dev/null > /dev/null 2>&1 && echo 1 || echo 0
