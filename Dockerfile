# docker build -t unbraid . && docker run --rm unbraid
FROM rust:1-trixie
RUN apt-get update \
 && apt-get install --yes --no-install-recommends g++ make python3 python3-pip \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /unbraid
COPY . .
RUN make build
CMD ["make", "demo"]
