#!/bin/sh
# Makes a bootable-as-container image from this machine's own /bin/busybox (package busybox-static), as an OCI layout:
#   demo-image.sh DIR TAG [MIB]
# The tag is written into the image too, so that an image with a new tag is new content; MIB of random bytes make it
# larger. Prints the manifest's digest.
# Needs tar, gzip, sha256sum; no network, no daemon.
set -eu
[ $# -eq 2 ] || [ $# -eq 3 ] || { echo "usage: demo-image.sh DIR TAG [MIB]" >&2; exit 2; }
out=$1 tag=$2 more=${3:-0}
busybox=$(command -v busybox) || { echo "demo-image: no busybox; install busybox-static" >&2; exit 1; }
case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) arch=$(uname -m) ;; esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root/bin" "$root/etc" "$root/root" "$root/tmp" "$out/blobs/sha256"
chmod 1777 "$root/tmp"
cp "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list); do
  [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
echo "Shoal demo $tag" >"$root/etc/motd"
[ "$more" -eq 0 ] || head -c "$((more << 20))" /dev/urandom >"$root/root/random"

put_blob() { # FILE -> prints "digest size"
  hex=$(sha256sum "$1" | cut -d' ' -f1)
  size=$(wc -c <"$1")
  mv "$1" "$out/blobs/sha256/$hex"
  echo "sha256:$hex $size"
}
tar -C "$root" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf "$work/layer" .
diff_id=sha256:$(sha256sum "$work/layer" | cut -d' ' -f1)
gzip -n -9 "$work/layer"
set -- $(put_blob "$work/layer.gz")
layer=$1 layer_size=$2
printf '{"architecture":"%s","os":"linux","config":{"Cmd":["/bin/sh"],"Env":["PATH=/bin"]},"rootfs":{"type":"layers","diff_ids":["%s"]}}' \
  "$arch" "$diff_id" >"$work/config"
set -- $(put_blob "$work/config")
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"%s","size":%s}]}' \
  "$1" "$2" "$layer" "$layer_size" >"$work/manifest"
set -- $(put_blob "$work/manifest")
printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":%s,"annotations":{"org.opencontainers.image.ref.name":"%s"}}]}' \
  "$1" "$2" "$tag" >"$out/index.json"
echo '{"imageLayoutVersion":"1.0.0"}' >"$out/oci-layout"
echo "$1"
