#include "net/aes_gcm.hpp"

#include <openssl/evp.h>

#include <string>
#include <utility>

#include <troupe/error.hpp>

namespace troupe::net {
namespace {

void check(int result, const char* what) {
  if (result != 1) throw connection_error(std::string("OpenSSL failed: ") + what);
}

unsigned char* raw(std::byte* at) { return reinterpret_cast<unsigned char*>(at); }
const unsigned char* raw(const std::byte* at) { return reinterpret_cast<const unsigned char*>(at); }

class openssl final : public aes_gcm {
 public:
  openssl(const key& its_key, use how) {
    check(context_ != nullptr ? 1 : 0, "no memory");
    check(::EVP_CipherInit_ex(context_.get(), ::EVP_aes_256_gcm(), nullptr, raw(its_key.data()),
                              nullptr, how == use::seal ? 1 : 0),
          "no AES-256-GCM");
  }

  void begin(const nonce& number, std::span<const std::byte> header) override {
    check(::EVP_CipherInit_ex(context_.get(), nullptr, nullptr, nullptr, raw(number.data()), -1),
          "nonce");
    int ignored = 0;
    check(::EVP_CipherUpdate(context_.get(), nullptr, &ignored, raw(header.data()),
                             static_cast<int>(header.size())),
          "header");
  }

  void pass(std::span<const std::byte> from, std::byte* to) override {
    int done = 0;
    check(::EVP_CipherUpdate(context_.get(), raw(to), &done, raw(from.data()),
                             static_cast<int>(from.size())),
          "bytes");
  }

  tag seal() override {
    tag made{};
    int ignored = 0;
    check(::EVP_CipherFinal_ex(context_.get(), raw(made.data()), &ignored), "end");
    check(::EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_GET_TAG,
                                static_cast<int>(made.size()), made.data()),
          "tag");
    return made;
  }

  bool open(const tag& sealed) override {
    tag expected = sealed;
    check(::EVP_CIPHER_CTX_ctrl(context_.get(), EVP_CTRL_AEAD_SET_TAG,
                                static_cast<int>(expected.size()), expected.data()),
          "tag");
    tag none{};
    int ignored = 0;
    return ::EVP_CipherFinal_ex(context_.get(), raw(none.data()), &ignored) == 1;
  }

 private:
  std::unique_ptr<EVP_CIPHER_CTX, decltype(&::EVP_CIPHER_CTX_free)> context_{
      ::EVP_CIPHER_CTX_new(), &::EVP_CIPHER_CTX_free};
};

}  // namespace

std::unique_ptr<aes_gcm> openssl_aes_gcm(const aes_gcm::key& key, aes_gcm::use how) {
  return std::make_unique<openssl>(key, how);
}

std::unique_ptr<aes_gcm> make_aes_gcm(const aes_gcm::key& key, aes_gcm::use how) {
  auto fast = vector_aes_gcm(key, how);
  return fast != nullptr ? std::move(fast) : openssl_aes_gcm(key, how);
}

}  // namespace troupe::net
