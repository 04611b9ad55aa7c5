// Which limbs may come near a robot: exact bounds on many distances at once.
//
// A pose lies in a ball around one of its joints, the hub; most poses are too far away as a whole. For the others the
// squared distance of every joint from the axis of a capsule is computed, in float, eight joints at a time. A joint
// lies on the axis of its limbs, and every point of a limb is within half its length from its nearer end. If some limb
// overlaps a capsule deeply, thin limbs cannot overlap more: an overlap is at most the sum of both radii. Only limbs
// that these bounds leave in question are measured, in double.
#ifndef MOTION_PREDICTOR__SWEEP_HPP_
#define MOTION_PREDICTOR__SWEEP_HPP_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "motion_predictor/bodies.hpp"
#include "motion_predictor/capsule.hpp"

namespace motion_predictor
{

class Sweep
{
public:
  Sweep(const Bodies & bodies, const Robot & robot)
  : bodies_(bodies), robot_(robot), T_(bodies.times.size()), J_(bodies.joints), C_(bodies.limbs.size()),
    lanes_((J_ + 7) / 8 * 8), x_(lanes_), y_(lanes_), z_(lanes_), square_(lanes_), reach_(lanes_), half_(C_),
    flesh_(C_, 0.0f), ball_(bodies.samples * T_), thickest_(T_ * J_, 0.0f)
  {
    robot.require(T_);
    for (std::size_t t = 0; t < T_; ++t) {
      for (std::size_t c = 0; c < C_; ++c) {
        flesh_[c] = std::max(flesh_[c], static_cast<float>(bodies.radius(t, c)));
        for (std::size_t j : {bodies.limbs[c].first, bodies.limbs[c].second}) {
          float & thickest = thickest_[t * J_ + j];
          thickest = std::max(thickest, static_cast<float>(bodies.radius(t, c)));
        }
      }
    }
    choose_hub();
    find_balls();
    for (std::size_t t = 0; t < T_; ++t) {
      for (std::size_t r = 0; r < robot.size(); ++r) {
        axes_.push_back(Axis(robot(t, r)));
        thickest_capsule_ = std::max(thickest_capsule_, axes_.back().radius);
      }
    }
    narrow(std::numeric_limits<float>::infinity());
  }

  /// Lower bound of the distance of a pose from a capsule.
  float pose_at_least(std::size_t n, std::size_t t, std::size_t r) const
  {
    const Axis & axis = axes_[t * robot_.size() + r];
    const std::size_t at = (n * T_ + t) * J_ + hub_;
    return std::sqrt(axis.square(bodies_.x[at], bodies_.y[at], bodies_.z[at])) - axis.radius - ball_[n * T_ + t];
  }

  /// Drop the limbs whose distance cannot be below a limit at any time. Later limits must not be larger.
  void narrow(float limit)
  {
    used_.clear();
    lane_.assign(J_, 0);
    std::vector<bool> seen(J_, false);
    for (std::size_t c = 0; c < C_; ++c) {
      if (is_too_thin(c, limit)) {continue;}
      for (std::size_t j : {bodies_.limbs[c].first, bodies_.limbs[c].second}) {
        if (!seen[j]) {seen[j] = true, lane_[j] = used_.size(), used_.push_back(j);}
      }
    }
    lanes_ = (used_.size() + 7) / 8 * 8;
  }

  /// Select the pose for the following functions, for limits up to this one.
  void turn_to(std::size_t n, std::size_t t, float limit)
  {
    n_ = n, t_ = t;
    const std::size_t from = (n * T_ + t) * J_;
    for (std::size_t j = 0; j < lanes_; ++j) {
      const std::size_t at = from + used_[j < used_.size() ? j : 0];
      x_[j] = bodies_.x[at], y_[j] = bodies_.y[at], z_[j] = bodies_.z[at];
    }
    std::fill(reach_.begin(), reach_.end(), 0.0f);
    for (std::size_t c = 0; c < C_; ++c) {
      if (is_too_thin(c, limit)) {continue;}
      const std::size_t a = lane_[bodies_.limbs[c].first], b = lane_[bodies_.limbs[c].second];
      const float dx = x_[a] - x_[b], dy = y_[a] - y_[b], dz = z_[a] - z_[b];
      half_[c] = 0.5f * std::sqrt(dx * dx + dy * dy + dz * dz);
      const float reach = half_[c] + static_cast<float>(bodies_.radius(t, c));
      reach_[a] = std::max(reach_[a], reach), reach_[b] = std::max(reach_[b], reach);
    }
  }

  /// Whether any limb of the pose may come nearer to a capsule than a limit.
  bool is_in_question(std::size_t r, float limit)
  {
    const Axis & axis = axes_[t_ * robot_.size() + r];
    measure_joints(axis);
    const float least = limit + axis.radius + slack_;
    bool any = false;
    for (std::size_t from = 0; from < lanes_; from += 8) {
      int near[8] = {};
      for (std::size_t k = 0; k < 8; ++k) {
        const float reach = least + reach_[from + k];
        near[k] = (reach > 0) & (square_[from + k] <= reach * reach);
      }
      for (int lane : near) {any = any || lane;}
    }
    return any;
  }

  /// Whether a joint is certainly nearer than a limit to the capsule of the last question.
  bool is_within(std::size_t r, float limit) const
  {
    const float most = limit + axes_[t_ * robot_.size() + r].radius - slack_;
    for (std::size_t lane = 0; lane < used_.size(); ++lane) {
      const float thickest = thickest_[t_ * J_ + used_[lane]], reach = most + thickest;
      if (thickest > 0 && reach > 0 && square_[lane] <= reach * reach) {return true;}
    }
    return false;
  }

  /// Whether a limb may be nearer than a limit to the capsule of the last question.
  bool is_limb_in_question(std::size_t c, std::size_t r, float limit) const
  {
    const Limb & limb = bodies_.limbs[c];
    const float flesh =
      static_cast<float>(bodies_.radius(t_, c)) + axes_[t_ * robot_.size() + r].radius + slack_;
    if (limit + flesh < 0) {return false;}
    const float reach = limit + flesh + half_[c];
    const float first = square_[lane_[limb.first]], second = square_[lane_[limb.second]];
    if (!(reach > 0) || std::min(first, second) > reach * reach) {return false;}
    return 0.5f * (std::sqrt(first) + std::sqrt(second)) - half_[c] - flesh <= limit;
  }

  /// The distance of the surfaces of a limb of the pose and a capsule; negative where they overlap.
  double measure(std::size_t c, std::size_t r) const
  {
    const Limb & limb = bodies_.limbs[c];
    const Capsule & capsule = robot_(t_, r);
    const Vec3 a = bodies_.joint(n_, t_, limb.first), b = bodies_.joint(n_, t_, limb.second);
    return segment_to_segment(a, b, capsule.start, capsule.end) - bodies_.radius(t_, c) - capsule.radius;
  }

private:
  /// The axis of a capsule, in float.
  struct Axis
  {
    float ax, ay, az, ux, uy, uz, length, radius;

    explicit Axis(const Capsule & capsule)
    {
      const Vec3 along = capsule.end - capsule.start;
      const double far = along.norm();
      const Vec3 unit = along * (1 / std::max(far, 1e-12));
      ax = static_cast<float>(capsule.start.x), ay = static_cast<float>(capsule.start.y);
      az = static_cast<float>(capsule.start.z), ux = static_cast<float>(unit.x), uy = static_cast<float>(unit.y);
      uz = static_cast<float>(unit.z), length = static_cast<float>(far), radius = static_cast<float>(capsule.radius);
    }

    float square(float x, float y, float z) const
    {
      const float px = x - ax, py = y - ay, pz = z - az;
      const float way = px * ux + py * uy + pz * uz;
      const float start = way < 0 ? 0 : way, share = start < length ? start : length;
      const float dx = px - share * ux, dy = py - share * uy, dz = pz - share * uz;
      return dx * dx + dy * dy + dz * dz;
    }
  };

  bool is_too_thin(std::size_t c, float limit) const {return flesh_[c] + thickest_capsule_ + slack_ < -limit;}

  void measure_joints(const Axis & axis)
  {
    const Axis own = axis;  // which the squares cannot overwrite
    const float * x = x_.data(), * y = y_.data(), * z = z_.data();
    for (std::size_t from = 0; from < lanes_; from += 8) {
      float found[8];
      for (std::size_t k = 0; k < 8; ++k) {found[k] = own.square(x[from + k], y[from + k], z[from + k]);}
      std::copy(found, found + 8, &square_[from]);
    }
  }

  /// Find the ball around the hub of every pose. Let d be the distance of a joint and f its flesh. For any m, (d + f)^2
  /// is at most d^2 (1 + f / m) + f^2 + m f. So one square root for the whole pose is enough.
  void find_balls()
  {
    constexpr float m = 0.7f;
    std::vector<float> scale(T_ * J_), more(T_ * J_);
    for (std::size_t t = 0; t < T_; ++t) {
      for (std::size_t j = 0; j < J_; ++j) {
        const float flesh = thickest_[t * J_ + j];
        scale[t * J_ + j] = 1 + flesh / m, more[t * J_ + j] = flesh * flesh + m * flesh;
      }
    }
    float largest = 0;
    for (std::size_t n = 0, pose = 0; n < bodies_.samples; ++n) {
      for (std::size_t t = 0; t < T_; ++t, ++pose) {
        const float * x = &bodies_.x[pose * J_], * y = &bodies_.y[pose * J_], * z = &bodies_.z[pose * J_];
        const float * s = &scale[t * J_], * b = &more[t * J_];
        const float hx = x[hub_], hy = y[hub_], hz = z[hub_];
        float farthest = 0;
        for (std::size_t j = 0; j < J_; ++j) {
          const float dx = x[j] - hx, dy = y[j] - hy, dz = z[j] - hz;
          const float square = (dx * dx + dy * dy + dz * dz) * s[j] + b[j];
          farthest = farthest < square ? square : farthest;
        }
        ball_[pose] = std::sqrt(farthest);
        largest = std::max(largest, std::abs(hx) + std::abs(hy) + std::abs(hz) + ball_[pose]);
      }
    }
    slack_ = 1e-5f * largest + 1e-5f;  // far more than what rounding does
    for (float & ball : ball_) {ball += slack_;}
  }

  void choose_hub()
  {
    double best = std::numeric_limits<double>::infinity();
    for (std::size_t hub = 0; hub < J_ && bodies_.samples && T_; ++hub) {
      double farthest = 0;
      for (std::size_t j = 0; j < J_; ++j) {
        farthest = std::max(farthest, (bodies_.joint(0, 0, j) - bodies_.joint(0, 0, hub)).norm());
      }
      if (farthest < best) {best = farthest, hub_ = hub;}
    }
  }

  const Bodies & bodies_;
  const Robot & robot_;
  std::size_t T_, J_, C_, lanes_, hub_ = 0, n_ = 0, t_ = 0;
  std::vector<float> x_, y_, z_, square_, reach_, half_, flesh_, ball_, thickest_;
  std::vector<std::size_t> used_, lane_;  // the joint of each lane, the lane of each joint
  std::vector<Axis> axes_;
  float slack_ = 0, thickest_capsule_ = 0;
};

}  // namespace motion_predictor

#endif  // MOTION_PREDICTOR__SWEEP_HPP_
