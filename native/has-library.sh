#!/bin/sh
# 1 when a program that includes a header and uses its library compiles and links here, else 0. binding.gyp asks:
# has-library.sh zstd.h zstd
echo "#include <$1>
int main() { return 0; }" | ${CXX:-g++} -x c++ - "-l$2" -o /dev/null > /dev/null 2>&1 && echo 1 || echo 0
