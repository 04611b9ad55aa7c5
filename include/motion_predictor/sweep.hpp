// Finds the limbs that may come near a robot, by exact bounds on many distances at once.
//
// A body moves little from one frame to the next. So the times are divided into spans, and one fat body replaces all
// poses of a sample in a span. In a fat body, each joint is a ball that holds the joint at all times of the span. Each
// limb of a fat body is thicker by the radius of these balls. If the robot moves, a fat capsule replaces each capsule
// of the robot, and holds this capsule at all times of the span. The bounds of fat bodies are valid at every time of
// the span:
// - A body lies in a ball around one of its joints, the hub. Most balls around a hub are too far from the robot, so
// their bodies are skipped.
// - A limb and a capsule can overlap at most by the sum of their radii. If a thick limb overlaps a capsule by more than
//   thin limbs can, the thin limbs are skipped.
// - Every point of a limb's axis lies within half the length of the axis from the nearer joint. Thus the distances of
//   the joints from the axis of a capsule give a bound on the distance between the limb and the capsule. The squares of
//   the distances of the joints are computed in float, for eight joints together.
// Exact distances (in double) are measured only for limbs that the bounds do not exclude.
#ifndef MOTION_PREDICTOR__SWEEP_HPP_
#define MOTION_PREDICTOR__SWEEP_HPP_

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <vector>

#include "motion_predictor/axis.hpp"
#include "motion_predictor/bodies.hpp"
#include "motion_predictor/capsule.hpp"

namespace motion_predictor
{

class Sweep
{
public:
  /// The robot must be in the frame of the bodies. The robot has one pose, or one pose per time.
  Sweep(const Bodies & bodies, const Robot & robot)
  : bodies_(bodies), robot_(robot), T_(bodies.times.size()), R_(robot.size()), C_(bodies.limbs.size()),
    together_(std::max<std::size_t>(1, (T_ + SPANS - 1) / SPANS)), spans_((T_ + together_ - 1) / together_)
  {
    robot.require(T_);
    order_limbs();
    find_axes();
    find_bodies();
  }

  /// The number of fat bodies. Body b belongs to sample b / spans() and span b % spans().
  std::size_t size() const {return bodies_.samples * spans_;}
  std::size_t spans() const {return spans_;}
  /// The index of the first time of a span. The last time of the span is first_time(span + 1) - 1.
  std::size_t first_time(std::size_t span) const {return std::min(span * together_, T_);}
  /// Lower bound of the distance of a fat body from the robot.
  float at_least(std::size_t body) const {return at_least_[body];}

  /// Select a fat body for the functions below. Limits that are passed to the functions below must not exceed `limit`.
  void turn_to(std::size_t body, float limit)
  {
    body_ = body, span_ = body % spans_;
    used_ = 0;
    while (used_ < C_ && thickest_limb_[used_] + thickest_capsule_ + slack_ >= -limit) {++used_;}
    lanes_ = used_ ? lanes_of_[used_ - 1] : 0;
    const float * x = &x_[body_ * W_], * y = &y_[body_ * W_], * z = &z_[body_ * W_], * spread = &spread_[body_ * W_];
    std::fill(reach_.begin(), reach_.end(), 0.0f);
    for (std::size_t k = 0; k < used_; ++k) {
      const auto [a, b] = ends_[k];
      const float dx = x[a] - x[b], dy = y[a] - y[b], dz = z[a] - z[b];
      half_[k] = 0.5f * std::sqrt(dx * dx + dy * dy + dz * dz);
      flesh_[k] = radius_[span_ * C_ + k] + std::max(spread[a], spread[b]);
      reach_[a] = std::max(reach_[a], half_[k] + flesh_[k]), reach_[b] = std::max(reach_[b], half_[k] + flesh_[k]);
    }
  }

  /// The number of limbs that are thick enough to be nearer to a capsule than the limit given to turn_to(). The
  /// thickest limb is number 0.
  std::size_t limbs() const {return used_;}
  /// The index in Bodies::limbs of the k-th thickest limb.
  std::size_t limb(std::size_t k) const {return limbs_[k];}

  /// Whether the distance of any limb from capsule r may be less than `limit`.
  bool is_in_question(std::size_t r, float limit)
  {
    const Axis axis = axes_[span_ * R_ + r];
    const float * x = &x_[body_ * W_], * y = &y_[body_ * W_], * z = &z_[body_ * W_];
    const float least = limit + axis.radius + slack_;
    bool any = false;
    for (std::size_t from = 0; from < lanes_; from += LANES) {
      float found[LANES];
      for (std::size_t k = 0; k < LANES; ++k) {found[k] = axis.square(x[from + k], y[from + k], z[from + k]);}
      std::copy(found, found + LANES, &square_[from]);
      int near[LANES];
      for (std::size_t k = 0; k < LANES; ++k) {
        const float reach = least + reach_[from + k];
        near[k] = (reach > 0) & (found[k] <= reach * reach);
      }
      for (int lane : near) {any = any || lane;}
    }
    return any;
  }

  /// Whether the distance of at least one joint from capsule r is certainly less than `limit` at all times of the span.
  /// Call is_in_question() for this capsule first.
  bool is_within(std::size_t r, float limit) const
  {
    const Axis & axis = axes_[span_ * R_ + r];
    const float most = limit + axis.inner - slack_;
    for (std::size_t lane = 0; lane < lanes_; ++lane) {
      const float flesh = thickest_[span_ * W_ + lane], reach = most + flesh - spread_[body_ * W_ + lane];
      if (flesh > 0 && reach > 0 && square_[lane] <= reach * reach) {return true;}
    }
    return false;
  }

  /// Whether the distance of limb k from capsule r may be less than `limit`. Call is_in_question() for r first.
  bool is_limb_in_question(std::size_t k, std::size_t r, float limit) const
  {
    const Axis & axis = axes_[span_ * R_ + r];
    const float near = limit + flesh_[k] + axis.radius + slack_, reach = near + half_[k];
    if (near < 0) {return false;}
    const auto [a, b] = ends_[k];
    if (std::min(square_[a], square_[b]) > reach * reach) {return false;}
    if (0.5f * (std::sqrt(square_[a]) + std::sqrt(square_[b])) - half_[k] > near) {return false;}
    return together_ == 1 || segment_to_segment(end(a), end(b), axis.start, axis.end) <= near;
  }

  /// The distance between the surfaces of a limb and a capsule at a time of the span; negative for an overlap.
  double measure(std::size_t t, std::size_t k, std::size_t r) const
  {
    const std::size_t c = limbs_[k], n = body_ / spans_;
    const Limb & limb = bodies_.limbs[c];
    const Capsule & capsule = robot_(t, r);
    const Vec3 a = bodies_.joint(n, t, limb.first), b = bodies_.joint(n, t, limb.second);
    return segment_to_segment(a, b, capsule.start, capsule.end) - bodies_.radius(t, c) - capsule.radius;
  }

private:
  static constexpr std::size_t SPANS = 16;  // greatest number of spans
  static constexpr std::size_t LANES = 8;  // number of joints that are computed together

  Vec3 end(std::size_t lane) const
  {
    const std::size_t at = body_ * W_ + lane;
    return {x_[at], y_[at], z_[at]};
  }

  /// Order the limbs from the thickest to the thinnest, and the joints as these limbs use them. The lane of a joint is
  /// its place in this order. Thus if only thick limbs may be near, only the first lanes are computed.
  void order_limbs()
  {
    std::vector<float> thickest(C_, 0.0f);
    for (std::size_t t = 0; t < T_; ++t) {
      for (std::size_t c = 0; c < C_; ++c) {
        thickest[c] = std::max(thickest[c], static_cast<float>(bodies_.radius(t, c)));
      }
    }
    limbs_.resize(C_);
    std::iota(limbs_.begin(), limbs_.end(), std::size_t{0});
    std::stable_sort(
      limbs_.begin(), limbs_.end(), [&](std::size_t a, std::size_t b) {return thickest[a] > thickest[b];});
    std::vector<std::size_t> lane_of(bodies_.joints, bodies_.joints);
    const auto lane = [&](std::size_t joint) {
        if (lane_of[joint] == bodies_.joints) {lane_of[joint] = joints_.size(), joints_.push_back(joint);}
        return lane_of[joint];
      };
    for (std::size_t c : limbs_) {
      const std::size_t first = lane(bodies_.limbs[c].first), second = lane(bodies_.limbs[c].second);
      ends_.push_back({first, second});
      thickest_limb_.push_back(thickest[c]);
      lanes_of_.push_back((joints_.size() + LANES - 1) / LANES * LANES);
    }
    W_ = lanes_of_.empty() ? 0 : lanes_of_.back();
    square_.resize(W_), reach_.resize(W_), half_.resize(C_), flesh_.resize(C_);
    radius_.assign(spans_ * C_, 0.0f), thickest_.assign(spans_ * W_, 0.0f);
    for (std::size_t t = 0; t < T_; ++t) {
      for (std::size_t k = 0; k < C_; ++k) {
        const float flesh = static_cast<float>(bodies_.radius(t, limbs_[k]));
        float & radius = radius_[t / together_ * C_ + k];
        radius = std::max(radius, flesh);
        for (std::size_t lane : ends_[k]) {
          float & thick = thickest_[t / together_ * W_ + lane];
          thick = std::max(thick, flesh);
        }
      }
    }
  }

  void find_axes()
  {
    for (std::size_t span = 0; span < spans_; ++span) {
      const std::size_t from = first_time(span), to = first_time(span + 1);
      for (std::size_t r = 0; r < R_; ++r) {
        const Capsule & first = robot_(from, r), & last = robot_(to - 1, r);
        Axis axis((first.start + last.start) * 0.5, (first.end + last.end) * 0.5);
        double spread = 0, radius = 0, least = first.radius;
        for (std::size_t t = from; t < to; ++t) {
          const Capsule & now = robot_(t, r);
          spread = std::max({spread, (now.start - axis.start).norm(), (now.end - axis.end).norm()});
          radius = std::max(radius, now.radius), least = std::min(least, now.radius);
        }
        axis.radius = static_cast<float>(radius + spread), axis.inner = static_cast<float>(least - spread);
        thickest_capsule_ = std::max(thickest_capsule_, static_cast<float>(radius));
        farthest_ = std::max(farthest_, std::abs(axis.ax) + std::abs(axis.ay) + std::abs(axis.az) + axis.length);
        axes_.push_back(axis);
      }
    }
  }

  void find_bodies()
  {
    const std::size_t numbers = bodies_.joints * 3;
    std::vector<float> low(numbers), high(numbers);
    for (auto * part : {&x_, &y_, &z_, &spread_}) {part->resize(size() * W_);}
    for (std::size_t body = 0; body < size(); ++body) {
      const std::size_t n = body / spans_, from = first_time(body % spans_), to = first_time(body % spans_ + 1);
      const float * first = bodies_.pose(n, from);
      std::copy(first, first + numbers, low.begin()), std::copy(first, first + numbers, high.begin());
      for (std::size_t t = from + 1; t < to; ++t) {
        const float * pose = bodies_.pose(n, t);
        float * l = low.data(), * h = high.data();
        for (std::size_t i = 0; i < numbers; ++i) {
          l[i] = pose[i] < l[i] ? pose[i] : l[i];
          h[i] = pose[i] > h[i] ? pose[i] : h[i];
        }
      }
      for (std::size_t lane = 0; lane < W_; ++lane) {
        const std::size_t i = joints_[lane < joints_.size() ? lane : 0] * 3, at = body * W_ + lane;
        const float dx = 0.5f * (high[i] - low[i]), dy = 0.5f * (high[i + 1] - low[i + 1]);
        const float dz = 0.5f * (high[i + 2] - low[i + 2]);
        x_[at] = low[i] + dx, y_[at] = low[i + 1] + dy, z_[at] = low[i + 2] + dz;
        spread_[at] = std::sqrt(dx * dx + dy * dy + dz * dz);
      }
    }
    find_balls();
  }

  /// Compute the ball around the hub of each fat body, and the distance of this ball from the robot.
  void find_balls()
  {
    const std::size_t hub = find_hub();
    at_least_.resize(size());
    for (std::size_t body = 0; body < size(); ++body) {
      const float * x = &x_[body * W_], * y = &y_[body * W_], * z = &z_[body * W_], * spread = &spread_[body * W_];
      const float * flesh = &thickest_[body % spans_ * W_];
      const float hx = x[hub], hy = y[hub], hz = z[hub];
      float farthest[LANES] = {};
      for (std::size_t from = 0; from < W_; from += LANES) {
        for (std::size_t k = from; k < from + LANES; ++k) {
          const float dx = x[k] - hx, dy = y[k] - hy, dz = z[k] - hz;
          const float far = std::sqrt(dx * dx + dy * dy + dz * dz) + spread[k] + flesh[k];
          farthest[k - from] = farthest[k - from] < far ? far : farthest[k - from];
        }
      }
      const float ball = *std::max_element(farthest, farthest + LANES);
      float nearest = std::numeric_limits<float>::infinity();
      for (std::size_t r = 0; r < R_; ++r) {
        const Axis & axis = axes_[body % spans_ * R_ + r];
        nearest = std::min(nearest, std::sqrt(axis.square(hx, hy, hz)) - axis.radius);
      }
      at_least_[body] = nearest - ball;
      farthest_ = std::max(farthest_, std::abs(hx) + std::abs(hy) + std::abs(hz) + ball);
    }
    slack_ = 1e-5f * farthest_ + 1e-5f;  // this slack is far larger than all rounding errors
    for (float & least : at_least_) {least -= slack_;}
  }

  /// The lane (place in the order of joints) of the hub, which is the most central joint.
  std::size_t find_hub() const
  {
    std::size_t found = 0;
    float best = std::numeric_limits<float>::infinity();
    for (std::size_t hub = 0; hub < joints_.size() && size(); ++hub) {
      float farthest = 0;
      for (std::size_t j = 0; j < joints_.size(); ++j) {
        const float dx = x_[j] - x_[hub], dy = y_[j] - y_[hub], dz = z_[j] - z_[hub];
        farthest = std::max(farthest, dx * dx + dy * dy + dz * dz);
      }
      if (farthest < best) {best = farthest, found = hub;}
    }
    return found;
  }

  const Bodies & bodies_;
  const Robot & robot_;
  std::size_t T_, R_, C_, together_, spans_, W_ = 0;  // together_: times per span; W_: lanes per body
  std::vector<std::size_t> limbs_, lanes_of_, joints_;  // limbs by thickness; lanes up to limb k; joint of each lane
  std::vector<std::array<std::size_t, 2>> ends_;  // the lanes of both ends of each limb
  std::vector<float> thickest_limb_, radius_, thickest_;  // per limb; per span and limb; per span and lane
  std::vector<Axis> axes_;  // per span and capsule
  std::vector<float> x_, y_, z_, spread_, at_least_;  // per body and lane, but at_least_ per body
  float slack_ = 0, farthest_ = 0, thickest_capsule_ = 0;
  std::size_t body_ = 0, span_ = 0, used_ = 0, lanes_ = 0;
  std::vector<float> square_, reach_, half_, flesh_;  // values of the selected fat body
};

}  // namespace motion_predictor

#endif  // MOTION_PREDICTOR__SWEEP_HPP_
