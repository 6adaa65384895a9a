#!/bin/sh
# Writes the certificates of this folder anew; needs OpenSSL.
set -eu
cd "$(dirname "$0")"
key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }
sign() {  # $1: file, $2: subject, $3: extensions
    openssl req -new -key "$1.key" -subj "$2" |
        openssl x509 -req -CA ca.crt -CAkey ca.key -days 36500 -set_serial "$4" -extfile /dev/fd/3 -out "$1.crt" 3<<EXTENSIONS
$3
EXTENSIONS
}
key ca.key
openssl req -x509 -key ca.key -days 36500 -subj "/CN=hexa test CA" -out ca.crt \
    -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign
key server.key; sign server /CN=kube-apiserver "subjectAltName=DNS:kube.test,IP:127.0.0.1" 2
key other.key; sign other /CN=other "subjectAltName=DNS:elsewhere.test" 3
key client.key; sign client /O=testers/CN=tester "extendedKeyUsage=clientAuth" 4
cat server.crt server.key >server.pem
cat other.crt other.key >other.pem
rm -f ca.key server.crt server.key other.crt other.key
