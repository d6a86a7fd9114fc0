#include "distributed/rendezvous.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <torch/csrc/distributed/c10d/PrefixStore.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <sstream>
#include <vector>

namespace afa::distributed {

namespace {

// The address from which this machine would send to `host`: what the routing table says, no packet is sent.
std::string addressTowards(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), "9", &hints, &found) != 0) return {};
  std::string address;
  for (auto* info = found; info && address.empty(); info = info->ai_next) {
    const int fd = socket(info->ai_family, info->ai_socktype, info->ai_protocol);
    if (fd < 0) continue;
    sockaddr_storage own{};
    socklen_t length = sizeof(own);
    char text[NI_MAXHOST];
    if (connect(fd, info->ai_addr, info->ai_addrlen) == 0 &&
        getsockname(fd, reinterpret_cast<sockaddr*>(&own), &length) == 0 &&
        getnameinfo(reinterpret_cast<sockaddr*>(&own), length, text, sizeof(text), nullptr, 0, NI_NUMERICHOST) == 0)
      address = text;
    close(fd);
  }
  freeaddrinfo(found);
  return address;
}

bool isLoopback(const std::string& address) { return address.starts_with("127.") || address == "::1"; }

// The store, held here or reached on rank 0's machine. c10d's own messages speak of sockets and error numbers.
c10::intrusive_ptr<c10d::Store> openStore(const StoreAddress& address, const c10d::TCPStoreOptions& options) {
  try {
    return c10::make_intrusive<c10d::TCPStore>(address.host, options);
  } catch (const c10::Error& e) {
    const std::string reason = e.what_without_backtrace();
    if (reason.find("ddress already in use") != std::string::npos)
      C10_THROW_ERROR(DistStoreError, c10::str("Port ", address.port, " is already in use on this machine"));
    if (reason.find("timed out") == std::string::npos && reason.find("connect") == std::string::npos) throw;
    const bool known = !addressTowards(address.host).empty();
    C10_THROW_ERROR(
        DistStoreError,
        c10::str("Could not reach rank 0's store at ", address.host, ":", address.port, " within ",
                 options.timeout.count() / 1000.0, " s: ",
                 known ? "nobody answers there. Check address and port, and that rank 0 runs"
                       : "no address is known for that name. Check the name"));
  }
}

std::string hostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "an unnamed host";
}

std::string written(const Peer& peer) {
  return c10::str(peer.address, " ", peer.process, " ", peer.holdsStore ? 1 : 0, " ", peer.host);
}

Peer readPeer(const std::string& text) {
  Peer peer;
  std::istringstream(text) >> peer.address >> peer.process >> peer.holdsStore >> peer.host;
  return peer;
}

// Waits for everyone. Rank r writes under "rank/r".
std::vector<Peer> peersOf(c10d::Store& store, int size, std::chrono::milliseconds timeout) {
  std::vector<std::string> keys;
  for (int r = 0; r < size; ++r) keys.push_back("rank/" + std::to_string(r));
  try {
    store.wait(keys, timeout);
  } catch (const c10::Error&) {
    std::vector<int> missing;
    for (int r = 0; r < size; ++r)
      if (!store.check({keys[r]})) missing.push_back(r);
    if (missing.empty()) throw;
    std::ostringstream ranks;
    for (size_t i = 0; i < missing.size() && i < 16; ++i) ranks << (i ? ", " : "") << missing[i];
    if (missing.size() > 16) ranks << " and " << missing.size() - 16 << " more";
    C10_THROW_ERROR(DistStoreError, c10::str("Waited ", timeout.count() / 1000.0, " s for ", size, " processes, but ",
                                             missing.size() == 1 ? "rank " : "ranks ", ranks.str(), " did not come"));
  }
  std::vector<Peer> peers;
  for (const auto& key : keys) peers.push_back(readPeer(store.get_to_str(key)));
  return peers;
}

}  // namespace

Rendezvous meet(const StoreAddress& address, int rank, int size, std::chrono::milliseconds timeout) {
  c10d::TCPStoreOptions options;
  options.port = static_cast<uint16_t>(address.port);
  options.isServer = address.isServer;
  options.waitWorkers = false;  // addressesOf() waits, and knows who is missing
  options.timeout = timeout;
  options.useLibUV = false;  // libtorch's libuv symbols would bind to Node's, another version
  auto store = c10::make_intrusive<c10d::PrefixStore>(address.prefix, openStore(address, options));

  const std::string mine = std::to_string(size);
  const auto bytes = [](const std::string& text) { return std::vector<uint8_t>(text.begin(), text.end()); };
  const auto agreed = store->compareSet("size", {}, bytes(mine));
  if (agreed != bytes(mine))
    C10_THROW_ERROR(DistStoreError, c10::str("Rank ", rank, " counts ", size, " processes, but others count ",
                                             std::string(agreed.begin(), agreed.end())));
  if (store->add("claims/" + std::to_string(rank), 1) != 1)
    C10_THROW_ERROR(DistStoreError, c10::str("Two processes claim rank ", rank, " of ", size));

  auto own = addressTowards(address.host);
  if (own.empty()) own = "127.0.0.1";
  store->set("rank/" + std::to_string(rank), bytes(written({own, hostName(), getpid(), address.isServer})));
  auto peers = peersOf(*store, size, timeout);
  if (isLoopback(own)) {
    // The machine that holds the store may know its own name as loopback (/etc/hosts) while its peers come from outside.
    const auto outside = std::find_if(peers.begin(), peers.end(), [](const auto& p) { return !isLoopback(p.address); });
    if (outside != peers.end()) own = addressTowards(outside->address);
  }
  return {store, std::move(peers), own};
}

}  // namespace afa::distributed
