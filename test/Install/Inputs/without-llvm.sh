# Runs a command in this mount namespace, without LLVM, OpenMP, OpenBLAS and
# linkers.
set -e
for directory in /usr/lib/llvm-*; do mount -t tmpfs none "$directory"; done
for file in /usr/lib/x86_64-linux-gnu/libLLVM*.so* /usr/lib/x86_64-linux-gnu/libomp*.so* \
    /usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblas* /usr/bin/ld /usr/bin/ld.bfd /usr/bin/ld.gold /usr/bin/ld.lld*; do
  # Links whose target is hidden by now are gone already.
  if [ -f "$file" ]; then mount --bind /dev/null "$(realpath "$file")"; fi
done
for program in ld ld.lld ld.lld-22 clang-22; do
  if command -v "$program"; then echo "$program is still there" >&2; exit 1; fi
done
exec "$@"
