#include "net/aes_gcm.hpp"

#if __has_include(<intel-ipsec-mb.h>)

#include <dlfcn.h>
#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

namespace troupe::net {
namespace {

/// The library's functions for this CPU; nothing where it would not be faster than OpenSSL. Loaded
/// when first wanted: most processes never encrypt, and it is large.
const IMB_MGR* load() {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("vpclmulqdq")) return nullptr;
  void* const library = ::dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return nullptr;
  const auto find = [library]<class F>(F*& function, const char* name) {
    function = reinterpret_cast<F*>(::dlsym(library, name));
    return function != nullptr;
  };
  decltype(::imb_get_version)* version = nullptr;
  decltype(::alloc_mb_mgr)* allocate = nullptr;
  decltype(::init_mb_mgr_avx512)* fill = nullptr;
  if (!find(version, "imb_get_version") || !find(allocate, "alloc_mb_mgr") ||
      !find(fill, "init_mb_mgr_avx512") || version() != IMB_VERSION_NUM) {
    return nullptr;  // the layout of its table is that of the header's version alone
  }
  IMB_MGR* const functions = allocate(0);
  if (functions == nullptr) return nullptr;
  fill(functions);
  constexpr auto needed = IMB_FEATURE_AVX512_SKX | IMB_FEATURE_VAES | IMB_FEATURE_VPCLMULQDQ;
  return (functions->features & needed) == needed ? functions : nullptr;
}

class vectors final : public aes_gcm {
 public:
  vectors(const IMB_MGR& functions, const key& its_key, use how)
      : functions_(functions),
        pass_(how == use::seal ? functions.gcm256_enc_update : functions.gcm256_dec_update),
        finalize_(how == use::seal ? functions.gcm256_enc_finalize
                                   : functions.gcm256_dec_finalize) {
    functions_.gcm256_pre(its_key.data(), &key_);
  }
  ~vectors() override {
    ::OPENSSL_cleanse(&key_, sizeof key_);
    ::OPENSSL_cleanse(&frame_, sizeof frame_);
  }

  void begin(const nonce& number, std::span<const std::byte> header) override {
    functions_.gcm256_init(&key_, &frame_, raw(number.data()), raw(header.data()), header.size());
  }

  void pass(std::span<const std::byte> from, std::byte* to) override {
    if (from.empty()) return;
    pass_(&key_, &frame_, reinterpret_cast<std::uint8_t*>(to), raw(from.data()), from.size());
  }

  tag seal() override {
    tag made{};
    finalize_(&key_, &frame_, reinterpret_cast<std::uint8_t*>(made.data()), made.size());
    return made;
  }

  bool open(const tag& sealed) override {
    const tag made = seal();
    return ::CRYPTO_memcmp(made.data(), sealed.data(), made.size()) == 0;
  }

 private:
  static const std::uint8_t* raw(const std::byte* at) {
    return reinterpret_cast<const std::uint8_t*>(at);
  }

  const IMB_MGR& functions_;
  const aes_gcm_enc_dec_update_t pass_;
  const aes_gcm_enc_dec_finalize_t finalize_;
  gcm_key_data key_{};
  gcm_context_data frame_{};
};

}  // namespace

std::unique_ptr<aes_gcm> vector_aes_gcm(const aes_gcm::key& key, aes_gcm::use how) {
  static const IMB_MGR* const functions = load();
  if (functions == nullptr) return nullptr;
  return std::make_unique<vectors>(*functions, key, how);
}

}  // namespace troupe::net

#else

namespace troupe::net {

std::unique_ptr<aes_gcm> vector_aes_gcm(const aes_gcm::key&, aes_gcm::use) { return nullptr; }

}  // namespace troupe::net

#endif
